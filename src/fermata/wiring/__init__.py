"""The composition root: settings in, objects out. The only package that knows which world the ports stand for."""
