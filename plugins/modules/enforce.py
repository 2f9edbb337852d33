# x
DOCUMENTATION = r"""
module: enforce
"""
