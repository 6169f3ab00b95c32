/** What members speak to each other: part of the name of each of their libp2p protocols. */
export const meshProtocol = 1;
