"""aiocoap as a peer: the client and the server that test_peers.py describes."""
import argparse
import asyncio
import sys

import aiocoap
from aiocoap import Code, resource

PATTERN = b"".join(i.to_bytes(4, "big") for i in range(1 << 18))
METHODS = {"get": 1, "post": 2, "put": 3, "delete": 4, "fetch": 5, "patch": 6, "ipatch": 7}


def show(response, output):
    if output:
        with open(output, "wb") as file:
            file.write(response.payload)
    text = response.payload[:100].decode("latin-1").replace("\n", " ")
    print(f'{response.code >> 5}.{response.code & 31:02} bytes {len(response.payload)} "{text}"', flush=True)


async def observe(context, message, wanted, output):
    requester = context.request(message)
    show(await requester.response, output)
    if wanted > 1:
        async for notification in requester.observation:
            show(notification, output)
            wanted -= 1
            if wanted == 1:
                break
    requester.observation.cancel()
    # It does not take the observation back, but resets the next notification that is confirmable: every tenth.
    await asyncio.sleep(3)


async def ask(options):
    context = await aiocoap.Context.create_client_context()
    payload = open(options.f, "rb").read() if options.f else b""
    message = aiocoap.Message(code=Code(METHODS[options.method]), uri=options.uri, payload=payload)
    if options.M is not None:
        message.opt.if_match = [bytes.fromhex(options.M)]
    if options.s:
        message.opt.observe = 0
        await observe(context, message, options.s, options.o)
    else:
        show(await asyncio.wait_for(context.request(message).response, 60), options.o)
    await context.shutdown()


class Text(resource.Resource):
    def __init__(self, text, delay=0):
        super().__init__()
        self.text, self.delay = text, delay

    async def render_get(self, request):
        await asyncio.sleep(self.delay)
        return aiocoap.Message(payload=self.text)


class Echo(resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload)

    render_put = render_fetch = render_patch = render_ipatch = render_post


class Tick(resource.ObservableResource):
    n = 0

    async def render_get(self, request):
        return aiocoap.Message(payload=str(self.n).encode())

    async def run(self):
        while True:
            await asyncio.sleep(0.2)
            self.n += 1
            self.updated_state()


class Store(resource.Resource, resource.PathCapable):
    def __init__(self):
        super().__init__()
        self.items = {}

    async def render_get(self, request):
        if request.opt.uri_path not in self.items:
            return aiocoap.Message(code=aiocoap.NOT_FOUND)
        return aiocoap.Message(payload=self.items[request.opt.uri_path])

    def write(self, request, payload):
        code = aiocoap.CHANGED if request.opt.uri_path in self.items else aiocoap.CREATED
        self.items[request.opt.uri_path] = payload
        return aiocoap.Message(code=code)

    async def render_put(self, request):
        return self.write(request, request.payload)

    async def render_post(self, request):
        return self.write(request, self.items.get(request.opt.uri_path, b"") + request.payload)

    async def render_delete(self, request):
        self.items.pop(request.opt.uri_path, None)
        return aiocoap.Message(code=aiocoap.DELETED)


async def serve(options):
    site = resource.Site()
    tick = Tick()
    for path, what in {"hello": Text(b"hello, peer"), "big": Text(PATTERN), "slow": Text(b"at last", 1), "echo": Echo(), "tick": tick, "store": Store()}.items():
        site.add_resource([path], what)
    # Bound to "::", its datagrams come over both families, but connections over IPv6 alone.
    contexts = [
        await aiocoap.Context.create_server_context(site, bind=("::", options.port), transports=["udp6"]),
        await aiocoap.Context.create_server_context(site, bind=(None, options.port), transports=["tcpserver"]),
    ]
    print("ready on port", options.port, len(contexts), flush=True)
    await tick.run()


def main():
    parser = argparse.ArgumentParser()
    roles = parser.add_subparsers(dest="role", required=True)
    client = roles.add_parser("ask")
    for name in "foM":
        client.add_argument(f"-{name}")
    client.add_argument("-s", type=int, default=0)
    client.add_argument("method")
    client.add_argument("uri")
    roles.add_parser("serve").add_argument("port", type=int)
    options = parser.parse_args()
    try:
        asyncio.run(ask(options) if options.role == "ask" else serve(options))
    except (aiocoap.error.Error, asyncio.TimeoutError) as error:
        print("failed", repr(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
