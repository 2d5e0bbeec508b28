"""The folder itself is on the path, so that its tests share `golden`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
