"""What must hold when things break: killed processes, full disks, poison, hostile peers."""
