"""Who calls: found out before anything else looks at a request, and written into its scope. See docs/access.md."""
