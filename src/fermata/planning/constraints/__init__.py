"""One file per rule of a plan. The folder is listed: a file here is checked, documented and tested at once."""
