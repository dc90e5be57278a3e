"""LiveKit's server API with its official package: does one thing and prints the answer as JSON."""

import argparse
import asyncio
import json
import sys

from google.protobuf.json_format import MessageToDict
from livekit import api


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--room", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("participants", help="who is in the room")
    dispatch = commands.add_parser("dispatch", help="ask an agent into the room")
    dispatch.add_argument("--agent-name", default="")
    dispatch.add_argument("--metadata", default="")
    remove = commands.add_parser("remove", help="take somebody out of the room")
    remove.add_argument("--identity", required=True)
    return parser.parse_args()


async def do(options):
    url = options.url.replace("ws", "http", 1)
    async with api.LiveKitAPI(url, options.key, options.secret) as server:
        try:
            match options.command:
                case "participants":
                    request = api.ListParticipantsRequest(room=options.room)
                    answer = await server.room.list_participants(request)
                case "dispatch":
                    request = api.CreateAgentDispatchRequest(
                        room=options.room, agent_name=options.agent_name, metadata=options.metadata
                    )
                    answer = await server.agent_dispatch.create_dispatch(request)
                case "remove":
                    request = api.RoomParticipantIdentity(room=options.room, identity=options.identity)
                    answer = await server.room.remove_participant(request)
        except api.TwirpError as error:
            return {"error": error.code}
    return MessageToDict(answer, preserving_proto_field_name=True)


json.dump(asyncio.run(do(arguments())), sys.stdout)
