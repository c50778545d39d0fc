package onhand.peer;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** Dedupe per source, repartition by SKU and location, aggregate: as a Kafka Streams topology. */
public final class Peer {
    private static final String SOURCES = "sources";
    private static final String STOCK = "stock";

    private final boolean inMemory = "memory".equals(env("PEER_STORE", "memory"));
    private final boolean caching = "1".equals(env("PEER_CACHING", "1"));

    public static void main(String[] arguments) throws InterruptedException {
        Peer peer = new Peer();
        KafkaStreams streams = new KafkaStreams(peer.topology(), properties());
        CountDownLatch ended = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(70);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(8));
            ended.countDown();
        }));
        streams.start();
        ended.await();
    }

    private Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(List.of(env("PEER_INPUTS", "").split(",")), Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .process(new Dedupe())
                .repartition(Repartitioned.with(Serdes.String(), Stock.SERDE)
                        .withName("movements")
                        .withNumberOfPartitions(Integer.parseInt(env("PEER_PARTITIONS", "4"))))
                .groupByKey(Grouped.with(Serdes.String(), Stock.SERDE))
                .aggregate(() -> new Stock(0, 0), (key, movement, stock) -> stock.plus(movement), materialized());
        return builder.build();
    }

    private Materialized<String, Stock, KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>> materialized() {
        Materialized<String, Stock, KeyValueStore<org.apache.kafka.common.utils.Bytes, byte[]>> how =
                Materialized.<String, Stock>as(store(STOCK)).withKeySerde(Serdes.String()).withValueSerde(Stock.SERDE);
        return caching ? how.withCachingEnabled() : how.withCachingDisabled();
    }

    private KeyValueBytesStoreSupplier store(String name) {
        return inMemory ? Stores.inMemoryKeyValueStore(name) : Stores.persistentKeyValueStore(name);
    }

    private static Properties properties() {
        Properties all = new Properties();
        all.put(StreamsConfig.APPLICATION_ID_CONFIG, env("PEER_NAME", "peer"));
        all.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("PEER_KAFKA", "127.0.0.1:9092"));
        all.put(StreamsConfig.STATE_DIR_CONFIG, env("PEER_FOLDER", "/tmp/peer"));
        all.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, env("PEER_THREADS", "1"));
        all.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, env("PEER_GUARANTEE", StreamsConfig.AT_LEAST_ONCE));
        all.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, env("PEER_COMMIT_MS", "500"));
        all.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L * 1024 * 1024);
        all.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        all.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        all.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        all.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        all.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 * 1024 * 1024);
        all.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
        all.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), env("PEER_LINGER_MS", "100"));
        all.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), env("PEER_COMPRESSION", "none"));
        all.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L * 1024 * 1024);
        return all;
    }

    private static String env(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    /** Lets each sequence of a source pass once, as movements of its lines. */
    private final class Dedupe implements ProcessorSupplier<String, byte[], String, Stock> {
        @Override
        public Set<StoreBuilder<?>> stores() {
            StoreBuilder<KeyValueStore<String, Long>> builder =
                    Stores.keyValueStoreBuilder(store(SOURCES), Serdes.String(), Serdes.Long());
            return Set.of(caching ? builder.withCachingEnabled() : builder);
        }

        @Override
        public Processor<String, byte[], String, Stock> get() {
            return new Processor<>() {
                private ProcessorContext<String, Stock> context;
                private KeyValueStore<String, Long> sources;

                @Override
                public void init(ProcessorContext<String, Stock> given) {
                    context = given;
                    sources = given.getStateStore(SOURCES);
                }

                @Override
                public void process(Record<String, byte[]> record) {
                    Event event = Event.of(record.value());
                    Long last = sources.get(event.source);
                    if (last != null && event.sequence <= last) {
                        return;
                    }
                    sources.put(event.source, event.sequence);
                    Stock perUnit = event.perUnit();
                    for (Event.Line line : event.lines) {
                        String key = line.sku() + "|" + event.location;
                        context.forward(new Record<>(key, perUnit.times(line.quantity()), record.timestamp()));
                    }
                }
            };
        }
    }
}
