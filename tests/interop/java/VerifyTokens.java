import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.util.JSONObjectUtils;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.text.ParseException;
import java.util.Map;

/**
 * Runs the program for Java of docs/guides/verify-elsewhere.md, which the tests put beside this file.
 *
 * <p>{@code java VerifyTokens ISSUER AUDIENCE} takes tokens on standard input, one a line, and answers each with a
 * line of JSON: {"claims": …}, {"refused": why} or {"unavailable": why}.
 */
public final class VerifyTokens {
    public static void main(String[] arguments) throws Exception {
        var verifier = new TokenVerifier(arguments[0], arguments[1]);
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String token = lines.readLine(); token != null; token = lines.readLine()) {
            System.out.println(JSONObjectUtils.toJSONString(answer(verifier, token)));
        }
    }

    private static Map<String, Object> answer(TokenVerifier verifier, String token) {
        try {
            return Map.of("claims", verifier.verify(token).toJSONObject());
        } catch (BadJOSEException | ParseException error) {
            return Map.of("refused", error.toString());
        } catch (Exception error) {
            return Map.of("unavailable", error.toString());
        }
    }
}
