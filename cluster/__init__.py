"""All that touches machines, behind one seam (`api.py`), and the gates that judge what it read."""
