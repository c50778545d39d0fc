"""The same for what is compiled and for the general way, and whether they agree."""

from tests import builders as b
from tests.pipeline import Pipeline


class Both:
    """Two pipelines to which the same happens, one of them without what is compiled."""

    def __init__(self, **settings):
        self.compiled = Pipeline(**settings)
        self.general = Pipeline(compiled=False, **settings)

    def send(self, *events):
        for pipeline in (self.compiled, self.general):
            pipeline.send(*events)

    def append(self, *record):
        for pipeline in (self.compiled, self.general):
            pipeline.append(*record)

    def put(self, *fact):
        for pipeline in (self.compiled, self.general):
            pipeline.put(*fact)

    def run(self, limit=1_000_000):
        for pipeline in (self.compiled, self.general):
            pipeline.run(limit)

    def open(self, *sources):
        """Each of `sources` has said something before, and SKUs are known."""
        for source in sources:
            self.send(
                b.sale(source, 1, "08:00"),
                b.receipt(f"{source}-wms", 1, "08:00", 500),
                b.count(f"{source}-hh", 1, "08:00", 100),
                b.disposed(f"{source}-desk", 1, "08:01", 1, "restock", rma=f"{source}-first"),
            )

    def taken(self):
        """Events and movements that went the compiled way."""
        plain = self.compiled.intake._plain.values()
        return sum(one.taken for one in plain), self.compiled.inventory._plain.taken

    def agree(self):
        return everything(self.compiled) == everything(self.general)


def everything(pipeline):
    """Each log, record by record, and each state, row by row."""
    logs = {
        place: [(one.key, one.value, one.timestamp, one.headers) for one in log]
        for place, log in pipeline.logs.items()
        if log
    }
    state = {place: list(one.encoded.items()) for place, one in pipeline.state.items()}
    positions = {place: one.position for place, one in pipeline.state.items()}
    return logs, state, positions
