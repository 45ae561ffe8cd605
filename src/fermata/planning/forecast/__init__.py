"""When an open window's nodes are back: what was learned of the steps, played on from where every unit stands now."""
