"""A campaign of faults against workers of its own, and the check that nothing committed is lost.

``manage.py backie chaos`` runs it. It has a private server, a private database and private workers; the project's
own are not touched.
"""
