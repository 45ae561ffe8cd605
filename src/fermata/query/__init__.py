"""The query store: what Fermata knows as tables, asked in KQL. Stands beside the store and does not know it.

`facts` is what callers hand in, `tables` and `views` lay it out, `text` judges a query, `engine` has it answered by a
process of its own (`worker`), where alone the database and the translator are loaded (`duck`).
"""
