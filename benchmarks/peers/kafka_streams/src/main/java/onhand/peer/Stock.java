package onhand.peer;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Units on hand and in quality control: of a row, or what a movement adds to one. */
record Stock(int onHand, int qualityControl) {
    static final Serde<Stock> SERDE =
            Serdes.serdeFrom((topic, stock) -> stock == null ? null : stock.toBytes(), (topic, bytes) -> of(bytes));

    Stock plus(Stock other) {
        return new Stock(onHand + other.onHand, qualityControl + other.qualityControl);
    }

    Stock times(int units) {
        return new Stock(onHand * units, qualityControl * units);
    }

    private byte[] toBytes() {
        return ByteBuffer.allocate(8).putInt(onHand).putInt(qualityControl).array();
    }

    private static Stock of(byte[] bytes) {
        if (bytes == null) {
            return null;
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        return new Stock(buffer.getInt(), buffer.getInt());
    }
}
