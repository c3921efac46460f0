"""What a route does to a message on its way: one file a step, named as the step is in topology.yaml."""
