"""All faults: what the modules that make them have put into `FAULTS`, in the order of the table."""

from system import faults, faults_files, faults_flood, faults_groups, faults_links
from system.faults import FAULTS

__all__ = ["FAULTS", "faults", "faults_files", "faults_flood", "faults_groups", "faults_links"]
