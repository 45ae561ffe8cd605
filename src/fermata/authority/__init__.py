"""May they? One place that answers, from policies that can be read: who may do what with which part of the fleet."""
