"""Reads events as any Python program would: Confluent's consumer, its AvroDeserializer, our registry.

read_events.py BROKERS TOPIC REGISTRY COUNT prints a line of JSON for each of COUNT messages.
"""

import datetime
import json
import sys

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, topic, registry, count = sys.argv[1:5]
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer(
    {"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"}
)
consumer.subscribe([topic])

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    raise TypeError(f"{value!r} is not of a type that events have")


for _ in range(int(count)):
    message = consumer.poll(30)
    if message is None or message.error():
        sys.exit(f"no message: {message and message.error()}")
    line = {
        "key": message.key().decode(),
        "partition": message.partition(),
        "headers": {name: value.decode() for name, value in message.headers()},
        "value": decode(message.value(), SerializationContext(topic, MessageField.VALUE)),
    }
    print(json.dumps(line, default=plain))
consumer.close()
