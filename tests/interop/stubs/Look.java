import java.net.InetAddress;
import java.net.UnknownHostException;
import java.security.Security;

/** Prints the addresses of each name, {@code none} where there is none. */
class Look {
    public static void main(String[] names) {
        // Otherwise an answer is kept for 30 s.
        Security.setProperty("networkaddress.cache.ttl", "0");
        for (String name : names) {
            StringBuilder line = new StringBuilder(name);
            try {
                for (InetAddress address : InetAddress.getAllByName(name)) {
                    line.append(' ').append(address.getHostAddress());
                }
            } catch (UnknownHostException error) {
                line.append(" none");
            }
            System.out.println(line);
        }
    }
}
