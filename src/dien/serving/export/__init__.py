"""Export of a run to engines that know nothing of dien; it needs the extra ``export``."""

from dien.serving.export.export import Exported, export_run

__all__ = ["Exported", "export_run"]
