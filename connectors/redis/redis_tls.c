#include "redis_tls.h"

#include "base/error.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#define COMPONENT "redis"

struct redis_tls {
    SSL_CTX *context;
    BIO_METHOD *method;
    SSL *ssl;
    const char *shown; /* the address's */
    int fd;
    bool wants_write;
};

/* OpenSSL's own socket BIO writes with write(), which raises SIGPIPE. */
static int bio_write(BIO *bio, const char *data, int len)
{
    const struct redis_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(tls->fd, data, (size_t)len, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int bio_read(BIO *bio, char *data, int room)
{
    const struct redis_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t received = recv(tls->fd, data, (size_t)room, 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)received;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static strid_status fail(const struct redis_tls *tls, strid_status status, const char *what,
                         strid_error *err)
{
    char reason[160] = "the connection ended";
    unsigned long code = ERR_get_error();
    if (code != 0)
        ERR_error_string_n(code, reason, sizeof reason);
    ERR_clear_error();
    strid_status failed =
        error_set(err, status, COMPONENT, "%s: TLS: %s: %s", tls->shown, what, reason);
    if (err != NULL && status == STRID_EUNREACHABLE)
        err->flags |= STRID_ERROR_RETRIABLE;
    return failed;
}

static strid_status load(struct redis_tls *tls, const struct redis_server_config *config,
                         strid_error *err)
{
    if (SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1)
        return fail(tls, STRID_ECONFIG, "TLS 1.2 is not to be had", err);
    int loaded = config->ca == NULL ? SSL_CTX_set_default_verify_paths(tls->context)
                                    : SSL_CTX_load_verify_file(tls->context, config->ca);
    if (loaded != 1)
        return fail(tls, STRID_ECONFIG, "the authorities of \"ca\" cannot be loaded", err);
    if (config->cert == NULL)
        return STRID_OK;
    if (SSL_CTX_use_certificate_chain_file(tls->context, config->cert) != 1)
        return fail(tls, STRID_ECONFIG, "the certificate of \"cert\" cannot be loaded", err);
    if (SSL_CTX_use_PrivateKey_file(tls->context, config->key, SSL_FILETYPE_PEM) != 1)
        return fail(tls, STRID_ECONFIG, "the private key of \"key\" cannot be loaded", err);
    return STRID_OK;
}

/* Names are sent (SNI) and checked; an address is checked as one. */
static bool expect_host(SSL *ssl, const char *host)
{
    struct in6_addr address;
    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

static strid_status begin(struct redis_tls *tls, const struct redis_address *address,
                          strid_error *err)
{
    tls->ssl = SSL_new(tls->context);
    tls->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "strid");
    if (tls->ssl == NULL || tls->method == NULL)
        return fail(tls, STRID_ENOMEM, "no memory", err);
    BIO_meth_set_write(tls->method, bio_write);
    BIO_meth_set_read(tls->method, bio_read);
    BIO_meth_set_ctrl(tls->method, bio_ctrl);
    BIO *bio = BIO_new(tls->method);
    if (bio == NULL)
        return fail(tls, STRID_ENOMEM, "no memory", err);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_mode(tls->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_verify(tls->ssl, address->config->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_set_connect_state(tls->ssl);
    if (!expect_host(tls->ssl, address->host))
        return fail(tls, STRID_ECONFIG, "the host's name cannot be checked", err);
    return STRID_OK;
}

struct redis_tls *redis_tls_create(int fd, const struct redis_address *address, strid_error *err)
{
    struct redis_tls *tls = memory_alloc_zeroed(sizeof *tls);
    *tls = (struct redis_tls){
        .context = SSL_CTX_new(TLS_client_method()), .shown = address->shown, .fd = fd};
    strid_status status = tls->context == NULL ? fail(tls, STRID_ENOMEM, "no memory", err)
                                               : load(tls, address->config, err);
    if (status == STRID_OK)
        status = begin(tls, address, err);
    if (status == STRID_OK)
        return tls;
    redis_tls_destroy(tls);
    return NULL;
}

void redis_tls_destroy(struct redis_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    BIO_meth_free(tls->method);
    SSL_CTX_free(tls->context);
    memory_free(tls);
}

/* STRID_AGAIN where OpenSSL waits for the socket. */
static strid_status outcome(struct redis_tls *tls, int result, const char *what, strid_error *err)
{
    int reason = SSL_get_error(tls->ssl, result);
    tls->wants_write = reason == SSL_ERROR_WANT_WRITE;
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        return STRID_AGAIN;
    return fail(tls, STRID_EUNREACHABLE, what, err);
}

strid_status redis_tls_handshake(struct redis_tls *tls, strid_error *err)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1)
        return STRID_OK;
    long verified = SSL_get_verify_result(tls->ssl);
    if (SSL_get_error(tls->ssl, result) == SSL_ERROR_SSL && verified != X509_V_OK) {
        ERR_clear_error();
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "%s: its certificate is not trusted: %s; name its authority as \"ca\"",
                         tls->shown, X509_verify_cert_error_string(verified));
    }
    return outcome(tls, result, "the handshake failed", err);
}

strid_status redis_tls_send(struct redis_tls *tls, const void *data, size_t len, size_t *sent,
                            strid_error *err)
{
    ERR_clear_error();
    int result = SSL_write_ex(tls->ssl, data, len, sent);
    return result == 1 ? STRID_OK : outcome(tls, result, "sending failed", err);
}

strid_status redis_tls_receive(struct redis_tls *tls, void *data, size_t room, size_t *received,
                               strid_error *err)
{
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, data, room, received);
    return result == 1 ? STRID_OK : outcome(tls, result, "receiving failed", err);
}

bool redis_tls_wants_write(const struct redis_tls *tls) { return tls->wants_write; }

bool redis_tls_has_pending(const struct redis_tls *tls) { return SSL_pending(tls->ssl) > 0; }
