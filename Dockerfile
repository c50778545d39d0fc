# One image for the worker and the HTTP front; the command says which.

FROM python:3.11 AS build
WORKDIR /build
COPY requirements.lock pyproject.toml ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY models ./models
COPY runtime ./runtime
COPY local ./local
RUN /venv/bin/python -m local.native

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 onhand \
    && install --directory --owner onhand --group onhand /var/lib/onhand
COPY --from=build /venv /venv
WORKDIR /app
COPY --from=build /build/models ./models
COPY --from=build /build/runtime ./runtime
COPY streams ./streams
COPY api ./api
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER onhand
STOPSIGNAL SIGTERM
CMD ["python", "-m", "streams", "worker"]
