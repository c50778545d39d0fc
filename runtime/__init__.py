"""How worker and front have aiokafka behave; knows nothing of either."""
