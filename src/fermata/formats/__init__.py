"""Readers and writers of the files in docs/formats: untrusted text in, domain values or a list of faults out."""
