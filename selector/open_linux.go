package selector

var makers = []maker{{"epoll", newEpoll}, {"poll", newPoll}, {"select", newSelect}}
