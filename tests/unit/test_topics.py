"""What topics are made with."""

import pytest

from streams.settings import Settings
from streams.topics import configs


@pytest.mark.parametrize(("replicas", "must_have_it"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_half_of_the_replicas_must_have_a_record(replicas, must_have_it):
    for topic, config in configs(Settings(replication=replicas)).items():
        assert config["min.insync.replicas"] == str(must_have_it), topic
