"""How fast the network is: beside its stock form, beside its peers, beside the machine's own limit."""
