"""A student and its teachers: what each makes of a batch, side by side; and how one is made of the
other.
"""
