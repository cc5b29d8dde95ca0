"""What does one show to others of a folder of recordings? One page that needs nothing but a browser."""

from modeling_retainmix.reports.page import write_report

__all__ = ["write_report"]
