"""What of a request concerns one of the customers that share its supercomputer: all that it is told of."""

from dataclasses import replace

from fermata.domain.ids import CustomerId
from fermata.domain.requests import Request, RequestItem
from fermata.domain.updates import Impact
from fermata.domain.work_orders import RequestOrder


def own_part(request: Request, customer: CustomerId) -> Request:
    """The request as it is asked of `customer` alone: empty for one of whom nothing is asked. Its incarnation is that
    of the whole, since words are given on that.

    A work order that concerns nodes of several customers, as one on a rack that they share, is shown to each of them
    with all of its nodes. A deployment that was stored before parts were counted is shown whole until it is next built.
    """
    if request.customers == (customer,) or (request.items and not request.parts and customer in request.customers):
        return request
    part = next((each for each in request.parts if each.customer == customer), None)
    items = part.items if part is not None else ()
    orders = tuple(order for order in request.orders if customer in order.customers)
    asked: tuple[RequestItem | RequestOrder, ...] = (*items, *orders)
    return replace(
        request,
        customers=(customer,),
        due_at=min((each.due_at for each in asked), default=None),
        impact=max((each.impact for each in asked), key=list(Impact).index, default=None),
        items=items,
        superseded=part.superseded if part is not None else (),
        nodes=part.nodes if part is not None else len({name for order in orders for name in order.nodes}),
        shared_devices=part.shared_devices if part is not None else sum(order.is_of_device for order in orders),
        orders=orders,
        parts=(),
    )
