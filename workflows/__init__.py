"""What happens over hours, each a plain function over `Run`; approvals; every sentence the bot says."""
