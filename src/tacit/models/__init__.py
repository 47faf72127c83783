"""The networks: transforms, hyperprior and entropy networks of each architecture, and their frozen form that codes."""
