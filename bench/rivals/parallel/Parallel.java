import com.sun.management.OperatingSystemMXBean;
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Parallel BROKERS TOPIC RECORDS WAIT_US DIRECTORY: the handler waits so long for each record of a topic,
 * in the order of each key. Prints "RECORDS SECONDS PROCESSOR_SECONDS", from the first record until the
 * last one was handled; the last commit and closing come behind that and are not in it.
 */
public final class Parallel {
    private static final int LOOK_MS = 1;
    private static final long DEADLINE_MS = 600_000;
    private static final OperatingSystemMXBean SYSTEM =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final AtomicLong HANDLED = new AtomicLong();

    /** The more a handler waits, the more threads it takes to wait in; 1,000 is one for each key. */
    private static int threads(long waitUs) {
        String said = System.getenv("STRID_BENCH_PARALLEL_THREADS");
        if (said != null)
            return Integer.parseInt(said);
        return waitUs == 0 ? 16 : waitUs <= 100 ? 64 : waitUs <= 1000 ? 256 : 1000;
    }

    private static KafkaConsumer<String, byte[]> consumer(String brokers) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, "strid-bench-" + ProcessHandle.current().pid());
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        return new KafkaConsumer<>(settings);
    }

    public static void main(String[] words) throws Exception {
        long records = Long.parseLong(words[2]);
        long waitUs = Long.parseLong(words[3]);
        /* The rest is as without saying: commits every 5 s, asynchronously. */
        ParallelStreamProcessor<String, byte[]> processor = ParallelStreamProcessor.createEosStreamProcessor(
            ParallelConsumerOptions.<String, byte[]>builder()
                .ordering(ProcessingOrder.KEY)
                .maxConcurrency(threads(waitUs))
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .consumer(consumer(words[0]))
                .build());
        processor.subscribe(List.of(words[1]));
        processor.poll(context -> {
            if (waitUs > 0)
                LockSupport.parkNanos(waitUs * 1000);
            HANDLED.incrementAndGet();
        });
        long end = System.currentTimeMillis() + DEADLINE_MS;
        long began = 0, beganCpu = 0;
        while (HANDLED.get() < records && System.currentTimeMillis() < end) {
            if (HANDLED.get() == 0) {
                began = System.nanoTime();
                beganCpu = SYSTEM.getProcessCpuTime();
            }
            Thread.sleep(LOOK_MS);
        }
        double wall = (System.nanoTime() - began) / 1e9;
        double cpu = (SYSTEM.getProcessCpuTime() - beganCpu) / 1e9;
        System.out.println(HANDLED.get() + " " + wall + " " + cpu);
        System.out.flush();
        processor.closeDontDrainFirst();
        System.exit(HANDLED.get() == records ? 0 : 1);
    }
}
