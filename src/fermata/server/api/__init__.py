"""The JSON API under /api/v1, a router per noun. Handlers are plain functions: FastAPI runs them in worker threads."""
