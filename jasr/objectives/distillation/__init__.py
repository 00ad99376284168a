"""What a student learns from a teacher: a file for each kind of knowledge.

Each reads what `jasr.models.distillation.taught` gives of both, and counts real tokens or frames of
the batch, whatever the teacher says, so that terms of any two kinds can be weighed and added.
"""
