import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;

/**
 * Streams BROKERS TOPIC RECORDS WAIT_US DIRECTORY: a count per key of a whole topic, in a RocksDB store
 * with its changelog. Prints "RECORDS SECONDS PROCESSOR_SECONDS", from the first record until the last
 * one was counted; flushing, committing and closing come behind that and are not in it.
 */
public final class Streams {
    private static final int LOOK_MS = 5;
    private static final int DEADLINE_MS = 600_000;
    private static final OperatingSystemMXBean SYSTEM =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private static Properties settings(String brokers, String application, String directory) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, directory + "/" + application);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Runtime.getRuntime().availableProcessors());
        /* All counts fit, so that each key goes to the store and the changelog once a commit. */
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        return settings; /* the rest is as without saying: commits every 30 s, at least once */
    }

    private static long handled(KafkaStreams streams) {
        double sum = 0;
        for (Map.Entry<MetricName, ? extends Metric> entry : streams.metrics().entrySet())
            if (entry.getKey().name().equals("process-total")
                && entry.getKey().group().equals("stream-thread-metrics"))
                sum += (Double) entry.getValue().metricValue();
        return (long) sum;
    }

    public static void main(String[] words) throws Exception {
        long records = Long.parseLong(words[2]);
        String application = "strid-bench-" + ProcessHandle.current().pid();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(words[1], Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .groupByKey().count(Materialized.as("counts"));
        KafkaStreams streams =
            new KafkaStreams(builder.build(), settings(words[0], application, words[4]));
        streams.start();
        long end = System.currentTimeMillis() + DEADLINE_MS;
        long began = 0, beganCpu = 0, done = 0;
        while (done < records && System.currentTimeMillis() < end) {
            Thread.sleep(LOOK_MS);
            done = handled(streams);
            if (done == 0) {
                began = System.nanoTime();
                beganCpu = SYSTEM.getProcessCpuTime();
            }
        }
        double wall = (System.nanoTime() - began) / 1e9;
        double cpu = (SYSTEM.getProcessCpuTime() - beganCpu) / 1e9;
        streams.close(Duration.ofSeconds(30));
        streams.cleanUp();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", words[0]))) {
            admin.deleteTopics(List.of(application + "-counts-changelog")).all().get();
        }
        System.out.println(done + " " + wall + " " + cpu);
        System.exit(done == records ? 0 : 1);
    }
}
