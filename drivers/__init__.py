"""Drivers turn registers and topics into readings of points, and write setpoints to points."""
