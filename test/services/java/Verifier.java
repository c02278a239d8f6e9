import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * An independent reader and writer: what it says of a topic does not come from the client under test.
 *
 *   produce BOOTSTRAP TOPIC RECORDS PARTITIONS KEYS [PAUSE_MS]
 *       record i has key k = i % KEYS and says so; a pause after every 1,000 records
 *   verify  BOOTSTRAP TOPIC RECORDS KEYS              read_committed, from the start to the end
 *   create  BOOTSTRAP TOPIC PARTITIONS [REPLICATION]
 */
public class Verifier {
  static final Pattern LINE = Pattern.compile("\\{\"key\":\"k(\\d+)\",\"seq\":(\\d+),.*\\}");

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "create" -> create(args[1], args[2], Integer.parseInt(args[3]),
          args.length > 4 ? Short.parseShort(args[4]) : 1);
      case "produce" -> produce(args[1], args[2], Integer.parseInt(args[3]),
          Integer.parseInt(args[4]), Integer.parseInt(args[5]),
          args.length > 6 ? Integer.parseInt(args[6]) : 0);
      case "verify" -> verify(args[1], args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]));
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  static void create(String bootstrap, String topic, int partitions, int replication)
      throws Exception {
    Properties p = new Properties();
    p.put("bootstrap.servers", bootstrap);
    try (Admin admin = Admin.create(p)) {
      if (!admin.listTopics().names().get().contains(topic))
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) replication))).all().get();
    }
  }

  static void produce(
      String bootstrap, String topic, int records, int partitions, int keys, int pauseMs)
      throws Exception {
    create(bootstrap, topic, partitions, 1);
    Properties p = new Properties();
    p.put("bootstrap.servers", bootstrap);
    p.put("acks", "all");
    p.put("enable.idempotence", "true");
    p.put("linger.ms", "5");
    p.put("compression.type", "zstd");
    String pad = "x".repeat(120);
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
      for (int i = 0; i < records; i++) {
        int key = i % keys;
        String value = "{\"key\":\"k" + key + "\",\"seq\":" + (i / keys) + ",\"pad\":\"" + pad + "\"}";
        producer.send(new ProducerRecord<>(topic, utf8("k" + key), utf8(value)), (meta, error) -> {
          if (error != null) {
            error.printStackTrace();
            System.exit(1);
          }
        });
        if (pauseMs > 0 && i % 1000 == 999) Thread.sleep(pauseMs);
      }
    }
    System.out.println("{\"produced\":" + records + "}");
  }

  static void verify(String bootstrap, String topic, int records, int keys) {
    Properties p = new Properties();
    p.put("bootstrap.servers", bootstrap);
    p.put("isolation.level", "read_committed");
    p.put("max.poll.records", "5000");
    long raw = 0;
    long distinct = 0;
    long outOfOrder = 0;
    long partitionMoves = 0;
    long unreadable = 0;
    Set<String> ids = new HashSet<>();
    Map<Integer, Long> next = new HashMap<>();
    Map<Integer, Integer> partitionOf = new HashMap<>();
    Map<Integer, Set<Long>> seen = new HashMap<>();
    long doubled = 0;
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> parts = new ArrayList<>();
      consumer.partitionsFor(topic).forEach(i -> parts.add(new TopicPartition(topic, i.partition())));
      consumer.assign(parts);
      consumer.seekToBeginning(parts);
      Map<TopicPartition, Long> ends = consumer.endOffsets(parts);
      while (parts.stream().anyMatch(part -> consumer.position(part) < ends.get(part))) {
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(500))) {
          raw++;
          Header id = r.headers().lastHeader("varve-record-id");
          // A reader that drops repeated ids sees each record once.
          if (id != null && !ids.add(new String(id.value(), StandardCharsets.UTF_8))) continue;
          distinct++;
          Matcher m = LINE.matcher(new String(r.value(), StandardCharsets.UTF_8));
          if (!m.matches()) {
            unreadable++;
            continue;
          }
          int key = Integer.parseInt(m.group(1));
          long seq = Long.parseLong(m.group(2));
          if (!seen.computeIfAbsent(key, k -> new HashSet<>()).add(seq)) doubled++;
          if (seq < next.getOrDefault(key, 0L)) outOfOrder++;
          next.put(key, seq + 1);
          Integer before = partitionOf.put(key, r.partition());
          if (before != null && before != r.partition()) partitionMoves++;
        }
      }
    }
    long there = 0;
    for (Set<Long> s : seen.values()) there += s.size();
    System.out.println("{\"raw\":" + raw + ",\"rawDuplicates\":" + (raw - distinct) + ",\"distinct\":"
        + distinct + ",\"lost\":" + (records - there) + ",\"doubled\":" + doubled
        + ",\"outOfOrder\":" + outOfOrder + ",\"partitionMoves\":" + partitionMoves
        + ",\"unreadable\":" + unreadable + ",\"keys\":" + seen.size() + "}");
  }

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
