"""A model of a cluster with two faces (direct, and real protocols), and a local Slack: for the demo and the tests."""
