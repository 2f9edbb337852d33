#!/bin/sh
# What a site has before it hardens a host: a log server with a certificate of the site's own authority, people enrolled
# for one-time codes, and the record of who uses the host.
set -eu
mkdir -p /etc/ssl/log
cd /etc/ssl/log
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab-ca -keyout ca.key -out ca.pem 2> /dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=log.example.invalid -keyout srv.key -out srv.csr 2> /dev/null
printf 'subjectAltName=DNS:log.example.invalid\n' > names
openssl x509 -req -in srv.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out srv.pem 2> /dev/null
cat srv.pem srv.key > both.pem
cat > /usr/local/sbin/log-server << 'PROGRAM'
import socket, ssl, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/ssl/log/both.pem")
def take(connection):
    try:
        stream = context.wrap_socket(connection, server_side=True)
        while stream.recv(65536):
            pass
    except OSError:
        pass
listener = socket.create_server(("192.0.2.10", 6514))
while True:
    threading.Thread(target=take, args=(listener.accept()[0],), daemon=True).start()
PROGRAM
ip address replace 192.0.2.10/32 dev lo
systemd-run --quiet --unit=log-server python3 /usr/local/sbin/log-server
printf 'alice:lab-only-Word-1\nbob:lab-only-Word-2\n' | chpasswd
printf 'HOTP/T30/6 alice - 3132333435363738393031323334353637383930\nHOTP/T30/6 bob - 3132333435363738393031323334353637383931\n' \
    > /etc/users.oath
chmod 0600 /etc/users.oath
