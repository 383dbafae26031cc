"""How a workflow survives: the port `Run` and the journal behind it. Knows no node and no Slack."""
