"""The composition root: the one room that knows concrete models, objectives and corpora.

config ──▶ construct ──▶ model · objective · optimizer · data · evaluator ──▶ experiment
"""
