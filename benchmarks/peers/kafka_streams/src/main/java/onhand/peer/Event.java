package onhand.peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/** What the topology needs of one event, read by a streaming parser, the fastest way there is. */
final class Event {
    private static final JsonFactory JSON = new JsonFactory();

    record Line(String sku, int quantity) {}

    String type = "";
    String source = "";
    long sequence;
    String location = "";
    final List<Line> lines = new ArrayList<>(4);

    static Event of(byte[] value) {
        Event event = new Event();
        try (JsonParser json = JSON.createParser(value)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String name = json.currentName();
                json.nextToken();
                switch (name) {
                    case "type" -> event.type = json.getText();
                    case "source" -> event.source = json.getText();
                    case "sequence" -> event.sequence = json.getLongValue();
                    case "data" -> event.readData(json);
                    default -> json.skipChildren();
                }
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return event;
    }

    private void readData(JsonParser json) throws IOException {
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            json.nextToken();
            switch (name) {
                case "location" -> location = json.getText();
                case "lines" -> {
                    while (json.nextToken() == JsonToken.START_OBJECT) {
                        readLine(json);
                    }
                }
                default -> json.skipChildren();
            }
        }
    }

    private void readLine(JsonParser json) throws IOException {
        String sku = "";
        int quantity = 0;
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            json.nextToken();
            switch (name) {
                case "sku" -> sku = json.getText();
                case "quantity" -> quantity = json.getIntValue();
                default -> json.skipChildren();
            }
        }
        lines.add(new Line(sku, quantity));
    }

    /** Units that a line of this event moves, per unit of it: on hand, and in quality control. */
    Stock perUnit() {
        return switch (type) {
            case "pos.sale.completed.v1" -> new Stock(-1, 0);
            case "pos.sale.returned.v1" -> new Stock(0, 1);
            case "warehouse.receipt.received.v1", "returns.return.disposed.v1" -> new Stock(1, 0);
            default -> throw new IllegalArgumentException(type);
        };
    }
}
