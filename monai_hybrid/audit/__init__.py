"""Whether a bundle is one of ours with other settings: a tool of its own, which runs nothing of the bundle."""

from monai_hybrid.audit.verdict import Verdict, audit

__all__ = ["Verdict", "audit"]
