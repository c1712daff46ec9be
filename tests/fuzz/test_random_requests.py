"""Random requests are answered as described"""

from collections.abc import Callable

import pytest

from tests.fuzz.campaign import Campaign
from tests.support.processes import serve_api


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_2000_random_requests_are_answered_as_described(
    clone_database: Callable[[], str],
) -> None:
    """No request gets a 5xx, or an answer that is not in the description."""
    # A database of its own: the requests revoke the tokens of random users.
    with serve_api(clone_database()) as url:
        campaign = Campaign(url)
        campaign.run(cases=2000, seconds=60)

    assert campaign.failures == {}
    assert campaign.sent > 500
    # It reached every kind of outcome: created, found, refused, contradicted.
    assert {200, 201, 204, 400, 401, 403, 404, 410, 415, 422} <= set(campaign.statuses)
