"""Training on several machines: the cluster in TF_CONFIG, and the exchange of gradients."""
