"""Devices on an MQTT broker."""
