"""MQTT connections, and the brokers in the house."""

from actors.connections.mqtt.connection import MqttConnection

__all__ = ["MqttConnection"]
