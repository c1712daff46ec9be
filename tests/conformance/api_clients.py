"""A client of the official SDK that asks the API for its tokens, as applications do."""

from abc import ABC, abstractmethod
from urllib.parse import quote

from centrifuge import Client

from tests.conformance.test_sdk import Listener


class ApiClient(ABC):
    """The client of one user, subscribed to the user's channel."""

    def __init__(self, realtime_url: str, user: str) -> None:
        self.user = user
        self.listener = Listener()
        self.client = Client(
            realtime_url,
            events=self.listener.connection,
            get_token=self._get_connection_token,
            proxy=None,
        )

    async def start(self) -> None:
        """Connect and subscribe."""
        await self.client.connect()
        subscription = self.client.new_subscription(
            f"personal:{self.user}",
            events=self.listener.channel,
            get_token=self._get_subscription_token,
        )
        await subscription.subscribe()
        await self.listener.channel.subscribed.get()

    @abstractmethod
    async def ask(self, path: str) -> str:
        """Return the token that the API answers at this path below `/api/token/`."""

    async def _get_connection_token(self) -> str:
        return await self.ask("connection/")

    async def _get_subscription_token(self, channel: str) -> str:
        return await self.ask(f"subscription/?channel={quote(channel, safe='')}")
