/* How a transfer failed: libcurl's words for it, as the client family's. */
#include <curl/curl.h>
#include <string.h>

#include "backends/client/curl_private.h"
#include "core/err.h"

int curl_transfer_errno(const struct curl_slot *slot, CURLcode code)
{
    long error_number = 0;

    if (slot->connect_errno)
        return slot->connect_errno;
    curl_easy_getinfo(slot->easy, CURLINFO_OS_ERRNO, &error_number);
    if (code == CURLE_COULDNT_CONNECT)
        return (int)error_number;
    if ((code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) && error_number &&
        strstr(slot->error_text, err_errno_text((int)error_number)))
        return (int)error_number;
    return 0;
}

enum client_error curl_classify(const struct curl_slot *slot, CURLcode code, int error_number)
{
    switch ((int)code) {
    case CURLE_OK:
        return CLIENT_OK;
    case CURLE_COULDNT_CONNECT:
        return client_error_of_errno(error_number);
    case CURLE_RECV_ERROR:
        /* Without an errno it is a body that does not decode. */
        return error_number ? client_error_of_errno(error_number) : CLIENT_MALFORMED;
    case CURLE_SEND_ERROR:
        return error_number ? client_error_of_errno(error_number) : CLIENT_RESET;
    case CURLE_GOT_NOTHING:
        return CLIENT_CLOSED;
    case CURLE_PARTIAL_FILE:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* "HTTP/0.9": the answer has no status line */
    case CURLE_BAD_CONTENT_ENCODING:
        return CLIENT_MALFORMED;
    case CURLE_WRITE_ERROR:
        return slot->too_large ? CLIENT_TOO_LARGE : CLIENT_MALFORMED;
    case CURLE_OUT_OF_MEMORY: /* libcurl's word for a header line over 100 KiB, up to 8.5 … */
    case 100:                 /* … CURLE_TOO_LARGE since 8.6 */
        return CLIENT_TOO_LARGE;
    case CURLE_OPERATION_TIMEDOUT:
        return slot->began ? CLIENT_SLOW : CLIENT_TIMEOUT;
    default:
        return CLIENT_OTHER;
    }
}
