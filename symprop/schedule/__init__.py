"""From nodes to loops: the loop IR, fusion, buffers, and the plan of how they run."""
